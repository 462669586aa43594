#!/usr/bin/gjs -m
// Prints the titles of a server's libraries: titles.js [SERVER]
// Needs GJS and libsoup 3 (Debian: gjs, gir1.2-soup-3.0). You are asked once whether this may use
// the server.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Soup from 'gi://Soup?version=3.0';
import {exit} from 'system';

const NAME = 'org.plexaccountd.Tokens1';
const NEEDS_CONSENT = 'org.plexaccountd.Error.ConsentNeeded';
const server = ARGV[0] ?? 'Attic';

/** What it takes to use the server. A call waits some seconds for the user's answer. */
function access(options) {
    for (;;) {
        try {
            return Gio.DBus.session.call_sync(
                NAME, '/org/plexaccountd/Tokens1', NAME, 'GetServer',
                new GLib.Variant('(sa{sv})', [server, options]),
                null, Gio.DBusCallFlags.NONE, 25000, null).recursiveUnpack();
        } catch (error) {
            if (Gio.DBusError.get_remote_error(error) !== NEEDS_CONSENT)
                throw error;
            printerr('Waiting for your answer …');
            GLib.usleep(10_000_000);
        }
    }
}

/** The server's answer: the status and, where it is good, the titles. */
function titles([url, token, details]) {
    const message = Soup.Message.new('GET', `${url}/library/sections`);
    const headers = message.get_request_headers();
    headers.append('X-Plex-Token', token);
    headers.append('X-Plex-Client-Identifier', details.client_identifier);
    headers.append('X-Plex-Product', details.product);
    headers.append('Accept', 'application/json');
    message.set_flags(Soup.MessageFlags.NO_REDIRECT);
    const body = new Soup.Session().send_and_read(message, null);
    const status = message.get_status();
    if (status !== Soup.Status.OK)
        return [status, []];
    const {MediaContainer} = JSON.parse(new TextDecoder().decode(body.get_data()));
    return [status, MediaContainer.Directory.map(library => library.title)];
}

let [status, found] = titles(access({}));
// The server was started anew, and its tokens ended with it.
if (status === Soup.Status.UNAUTHORIZED)
    [status, found] = titles(access({renew: new GLib.Variant('b', true)}));
if (status !== Soup.Status.OK) {
    printerr(`The server answered with status ${status}.`);
    exit(1);
}
found.forEach(title => print(title));
