#!/usr/bin/python3
"""Does to a real gnome-keyring what a person does in its windows, without a window.

    keyring.py create PASSWORD    makes the collection `login`, the default one
    keyring.py lock
    keyring.py unlock PASSWORD
    keyring.py state

Each prints the collections afterwards, as locked or open.
"""

import sys

import dbus

SERVICE = "org.freedesktop.secrets"
ROOT = "/org/freedesktop/secrets"
LOGIN = ROOT + "/collection/login"

bus = dbus.SessionBus()
service = bus.get_object(SERVICE, ROOT)
secrets = dbus.Interface(service, "org.freedesktop.Secret.Service")
# What gnome-keyring's own tools use, where the password is known without asking for it.
internal = dbus.Interface(service, "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface")


def prop(path, interface, name):
    return bus.get_object(SERVICE, path).Get(interface, name, dbus_interface=dbus.PROPERTIES_IFACE)


def secret(password):
    _, session = secrets.OpenSession("plain", dbus.String("", variant_level=1))
    value = (session, dbus.ByteArray(), dbus.ByteArray(password.encode()), "text/plain")
    return dbus.Struct(value, signature="oayays")


match sys.argv[1:]:
    case ["create", password]:
        label = {"org.freedesktop.Secret.Collection.Label": "login"}
        secrets.SetAlias("default", internal.CreateWithMasterPassword(label, secret(password)))
    case ["lock"]:
        secrets.Lock([dbus.ObjectPath(LOGIN)])
    case ["unlock", password]:
        internal.UnlockWithMasterPassword(dbus.ObjectPath(LOGIN), secret(password))
    case ["state"]:
        pass
    case _:
        sys.exit(__doc__)

for path in prop(ROOT, "org.freedesktop.Secret.Service", "Collections"):
    locked = prop(path, "org.freedesktop.Secret.Collection", "Locked")
    print(path, "locked" if locked else "open")
print("default:", secrets.ReadAlias("default"))
