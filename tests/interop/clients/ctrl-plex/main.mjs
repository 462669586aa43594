// @ctrl/plex: the browser link, the account, its lists, and a server of it.
import assert from 'node:assert';
import { MyPlexAccount, PlexServer } from '@ctrl/plex';

const control = process.env.FAKE_PLEXTV;
let failed = false;

const post = async (path, body, headers = {}) => {
  const answer = await fetch(path, { method: 'POST', body, headers });
  assert(answer.ok, `${path}: ${answer.status}`);
  return answer.json();
};
const order = (call, body = {}) => post(`${control}/fake/${call}`, JSON.stringify(body));
// Prints STEP, tab, outcome, as interop.py does.
const step = async (name, what) => {
  try {
    await what();
    console.log(`${name}\tok`);
  } catch (error) {
    failed = true;
    console.log(`${name}\tFAILED\t${String(error?.stack ?? error).replace(/\s+/g, ' ')}`);
  }
};

let account;
let attic;
let server;
await step('oauth', async () => {
  const login = await MyPlexAccount.getWebLogin('http://127.0.0.1:9/done');
  const { searchParams } = new URL(login.uri.replace('#?', '?'));
  await order('approve', {
    code: searchParams.get('code'), client_id: searchParams.get('clientID'), via: 'auth',
  });
  account = await MyPlexAccount.webLoginCheck(login, 10);
});
await step('password', async () => {
  const byName = await new MyPlexAccount(null, 'demo', 'password-of-demo').connect();
  assert.equal(byName.username, 'demo');
});
await step('account', async () => {
  await account.connect();
  assert.equal(account.username, 'demo');
  assert.match(await account.claimToken(), /^claim-/);
});
await step('resources', async () => {
  const servers = (await account.resources()).filter(r => r.provides.split(',').includes('server'));
  assert.deepEqual(servers.map(s => s.name).sort(), ['Attic', 'Cellar', 'media', '家のサーバー'].sort());
  attic = servers.find(s => s.name === 'Attic');
});
await step('connect', async () => {
  server = await attic.connect();
  assert.equal(server.machineIdentifier, attic.clientIdentifier);
});
await step('libraries', async () => {
  const sections = await (await server.library()).sections();
  assert.deepEqual(sections.map(s => s.title), ['Movies', 'TV Shows', 'Music']);
});
await step('minted token', async () => {
  const url = `${server.baseurl}/security/token?type=delegation&scope=all`;
  const answer = await post(url, undefined, { 'X-Plex-Token': attic.accessToken, Accept: 'application/json' });
  const minted = new PlexServer(server.baseurl, answer.MediaContainer.token);
  await minted.connect();
  assert.equal((await (await minted.library()).sections()).length, 3);
});
await step('devices', async () => {
  assert((await account.devices()).some(device => device.token === account.token));
});
process.exit(failed ? 1 : 0);
