"""Tautulli's plextv.py and http_handler.py as they are, in a shell of what they import.

tautulli.py FOLDER_OF_TAUTULLI
"""

import logging
import sys
import types

from interop import end, order, step

FOLDER = sys.argv[1]
sys.path.insert(0, FOLDER)

# plexpy's own start would begin the whole program; these are the parts of it that the two files look at.
plexpy = types.ModuleType("plexpy")
plexpy.__path__ = [f"{FOLDER}/plexpy"]
plexpy.CONFIG = types.SimpleNamespace(
    PMS_TIMEOUT=15, VERIFY_SSL_CERT=1, PMS_TOKEN="", PMS_IDENTIFIER="a" * 40, PMS_CLIENT_ID="tautulli-client",
    PMS_UUID="tautulli-client", PMS_LANGUAGE="en", PMS_IP="127.0.0.1", PMS_PORT=32400, PMS_URL="",
)
plexpy.SYS_LANGUAGE = "en"
sys.modules["plexpy"] = plexpy


def module(name, **members):
    found = types.ModuleType(f"plexpy.{name}")
    found.__dict__.update(members)
    sys.modules[f"plexpy.{name}"] = found
    setattr(plexpy, name, found)
    return found


log = logging.getLogger("tautulli")
module("logger", **{name: getattr(log, name) for name in ("debug", "info", "error")}, warn=log.warning,
       exception=log.exception)
module("common", PRODUCT="Tautulli", RELEASE="v2.17.2", PLATFORM="Linux", PLATFORM_RELEASE="test",
       PLATFORM_DEVICE_NAME="interop")
module("session", get_session_user_id=lambda: None)
for name in ("users", "pmsconnect"):
    module(name)
module("plex", Plex=object)


def attribute(element, name, default_return=""):
    return element.getAttribute(name) if element is not None else default_return


def to_xml(text):
    from xml.dom import minidom
    return minidom.parseString(text)


module("helpers", get_xml_attr=attribute, parse_xml=to_xml, convert_xml_to_json=None, convert_xml_to_dict=None,
       bool_true=lambda value, **_: str(value).lower() in ("1", "true"))

# The system's authorities, since Tautulli takes certifi's whatever the environment says.
import os  # noqa: E402

import certifi  # noqa: E402

certifi.where = lambda: os.environ["REQUESTS_CA_BUNDLE"]

from plexpy.plextv import PlexTV  # noqa: E402

with step("pin"):
    pin = PlexTV(token="none").get_pin()
    order("approve", code=pin["code"], via="auth")
    token = PlexTV(token="none").get_pin(pin["id"])["token"]
    assert token
plex = PlexTV(token=token if "token" in globals() else "")

with step("account"):
    assert plex.get_plex_account_details()["username"] == "demo"
    assert plex.ping() and plex.check_token()
with step("resources"):
    assert {s["label"] for s in plex.discover(all_servers=True)} >= {"Attic"}
    assert plex.get_server_connections(pms_identifier="a" * 40)["pms_name"] == "Attic"
    assert plex.get_server_token() and plex.get_server_times()["version"]
with step("devices"):
    assert any(d["token"] == token for d in plex.get_devices_list())
end()
