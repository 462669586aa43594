#!/usr/bin/gjs -m
// Signs in, lists the account's servers and prints a line whenever one changes its state.
// Needs gjs. Ctrl-C ends it. No call blocks: it goes into GNOME Shell less the exit and the loop.

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import System from 'system';

const NAME = 'org.plexaccountd.Account1';
const OBJECT = '/org/plexaccountd/Account1';

// What is used here of /usr/share/dbus-1/interfaces/org.plexaccountd.Account1.xml; signals that are
// not in it are not heard.
const Account = Gio.DBusProxy.makeProxyWrapper(`
<node>
  <interface name="${NAME}">
    <method name="LoginStatus">
      <arg type="s" direction="out"/>
      <arg type="a{sv}" direction="out"/>
    </method>
    <method name="StartLogin">
      <arg type="s" direction="out"/>
      <arg type="s" direction="out"/>
      <arg type="s" direction="out"/>
      <arg type="t" direction="out"/>
    </method>
    <method name="ListServers"><arg type="aa{sv}" direction="out"/></method>
    <method name="Refresh"/>
    <signal name="LoginFinished"><arg type="s"/><arg type="s"/></signal>
    <signal name="ServerStateChanged">
      <arg type="s"/><arg type="s"/><arg type="b"/><arg type="s"/><arg type="s"/>
    </signal>
  </interface>
</node>`);

const account = await new Promise((resolve, reject) => {
    new Account(Gio.DBus.session, NAME, OBJECT,
        (proxy, error) => error ? reject(error) : resolve(proxy));
});

// Listening comes before the first look, so that nothing falls between the two.
const login = new Promise(resolve => {
    account.connectSignal('LoginFinished', (_proxy, _sender, values) => resolve(values));
});
account.connectSignal('ServerStateChanged', (_proxy, _sender, [_id, name, _owned, before, now]) => {
    print(`${name}: ${before} -> ${now}`);
});

const [state] = await account.LoginStatusAsync();
if (['signed-out', 'rejected', 'waiting'].includes(state)) {
    const [code, link, browser] = await account.StartLoginAsync();
    print(`Type ${code} at ${link}, or open ${browser}`);
    const [outcome, message] = await login;
    print(`Login ${outcome}. ${message}`);
    if (outcome !== 'succeeded')
        System.exit(1);
    await account.RefreshAsync(); // comes back when the servers are there
} else if (state !== 'signed-in') { // locked, or not known yet
    printerr(`The account is ${state}.`);
    System.exit(1);
}

const [servers] = await account.ListServersAsync();
for (const {name, state: now} of servers)
    print(`${name.unpack()}: ${now.unpack()}`);

new GLib.MainLoop(null, false).run();
