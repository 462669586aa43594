"""python-plexapi: by code, by browser link, the account, its lists, and a server of it."""

from interop import end, mint, order, step
from plexapi.exceptions import Unauthorized
from plexapi.myplex import MyPlexAccount, MyPlexPinLogin
from plexapi.server import PlexServer

MyPlexPinLogin.POLLINTERVAL = 0.05

with step("pin"):
    login = MyPlexPinLogin()
    assert not login.checkLogin()
    order("approve", code=login.pin, via="link")
    assert login.checkLogin()

with step("oauth"):
    browser = MyPlexPinLogin(oauth=True)
    browser.run(timeout=30)
    code = browser.oauthUrl().split("code=")[1].split("&")[0]
    order("approve", code=code, via="auth")
    assert browser.waitForLogin()
    assert browser.token == login.token, "one client, one token"

with step("password"):
    by_name = MyPlexAccount("demo", "password-of-demo")
    assert by_name.username == "demo"

with step("account"):
    account = MyPlexAccount(token=login.token)
    assert account.username == "demo" and account.ping() and account.claimToken().startswith("claim-")

with step("resources"):
    servers = {r.name: r for r in account.resources() if "server" in r.provides.split(",")}
    assert set(servers) == {"Attic", "Cellar", "media", "家のサーバー"}, servers.keys()

with step("connect"):
    server = servers["Attic"].connect(timeout=5)
    assert server.machineIdentifier == servers["Attic"].clientIdentifier

with step("libraries"):
    assert [s.title for s in server.library.sections()] == ["Movies", "TV Shows", "Music"]
    assert server.sessions() == []

with step("minted token"):
    token = mint(server._baseurl, servers["Attic"].accessToken)
    assert [s.title for s in PlexServer(server._baseurl, token).library.sections()]

with step("home"):
    order("account", home=True)
    order("account", id=7, uuid="seven", username="kid", title="kid", email="kid@example.org", home=True)
    assert "kid" in [user.title for user in account.users()]
    assert account.switchHomeUser("kid").username == "kid"

with step("devices"):
    mine = [d for d in account.devices() if d.token == login.token]
    assert len(mine) == 1, "one row for one client"
    mine[0].delete()
    try:
        account.resources()
        raise AssertionError("the token of a removed device still works")
    except Unauthorized:
        pass

end()
