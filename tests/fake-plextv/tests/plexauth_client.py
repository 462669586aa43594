"""Signs in to fake-plextv with python-plexauth and prints what it got, as JSON.

plexauth_client.py HTTPS_PORT CONTROL_ADDRESS

SSL_CERT_FILE names the authority to trust.
"""

import asyncio
import json

from here import order  # before the client
from plexauth import PlexAuth


async def main():
    # Everything that it says of itself goes into a form.
    payload = {"X-Plex-Product": "Example", "X-Plex-Version": "1", "X-Plex-Device-Name": "Here"}
    async with PlexAuth(payload) as auth:
        await auth.initiate_auth()
        before = await auth.request_auth_token()
        code = auth.auth_url("http://127.0.0.1:9/done").split("code=")[1].split("&")[0]
        given = order("approve", code=code, client_id=auth.client_identifier, via="auth")["token"]
        return {"before": before, "given": given, "got": await auth.request_auth_token()}


print(json.dumps(asyncio.run(main())))
