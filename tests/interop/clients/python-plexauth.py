"""python-plexauth: a strong PIN, all of whose arguments are in a form."""

import asyncio

import plexauth
from interop import end, order, step

PAYLOAD = {
    "X-Plex-Product": "interop", "X-Plex-Version": "1", "X-Plex-Device": "test", "X-Plex-Platform": "test",
    "X-Plex-Device-Name": "interop", "X-Plex-Model": "test", "X-Plex-Client-Platform": "test",
}


async def main():
    import aiohttp

    # Trusts what SSL_CERT_FILE names, and uses the system's names.
    async with aiohttp.ClientSession() as session, plexauth.PlexAuth(dict(PAYLOAD), session) as auth:
        with step("pin"):
            await auth.initiate_auth()
            assert "code=" in auth.auth_url()
        with step("oauth"):
            code = auth.auth_url("http://127.0.0.1:9/done").split("code=")[1].split("&")[0]
            given = order("approve", code=code, client_id=auth.client_identifier, via="auth")["token"]
            assert await auth.request_auth_token() == given


asyncio.run(main())
end()
