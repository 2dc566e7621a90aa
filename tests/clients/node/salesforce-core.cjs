// @salesforce/core, which the sf command is made of: JWT, access token and sfdx-url logins, and a token that dies.
const assert = require("node:assert");
const fs = require("node:fs");
const { AuthInfo, Connection, Org } = require("@salesforce/core");

(async () => {
  const e = process.env;
  const oauth2Options = { clientId: e.SF_CLIENT_ID, privateKeyFile: e.SF_PRIVATE_KEY_PATH, loginUrl: e.SF_LOGIN_URL };
  const authInfo = await AuthInfo.create({ username: e.SF_USERNAME, oauth2Options });
  await authInfo.save();
  const conn = await Connection.create({ authInfo });
  assert.equal(conn.getUsername(), e.SF_USERNAME);
  assert.equal((await conn.query("SELECT Id, Name FROM Account")).totalSize, 5);
  assert.ok((await conn.sobject("Contact").create({ LastName: "Smith" })).success);
  const org = await Org.create({ aliasOrUsername: e.SF_USERNAME });
  await org.refreshAuth();
  assert.match(org.getOrgId(), /^00D/);

  const { accessToken } = conn;
  const byToken = { accessToken, instanceUrl: e.SF_LOGIN_URL, loginUrl: e.SF_LOGIN_URL };
  assert.equal((await AuthInfo.create({ accessTokenOptions: byToken })).getUsername(), e.SF_USERNAME);
  const host = e.SF_LOGIN_URL.replace("http://", "");
  const url = `force://${e.SF_CLIENT_ID}:${e.SF_CLIENT_SECRET}:${e.SF_REFRESH_TOKEN}@${host}`;
  const parsed = { ...AuthInfo.parseSfdxAuthUrl(url), instanceUrl: e.SF_LOGIN_URL, loginUrl: e.SF_LOGIN_URL };
  assert.equal((await AuthInfo.create({ oauth2Options: parsed })).getUsername(), e.SF_USERNAME);

  const headers = { "Content-Type": "application/json" };
  const expired = await fetch(`${e.SF_LOGIN_URL}/__emulator__/expire`, { method: "POST", headers, body: "{}" });
  assert.ok((await expired.json()).expired > 0);
  assert.equal((await conn.query("SELECT COUNT() FROM Account")).totalSize, 5);
  console.log(JSON.parse(fs.readFileSync(`${e.NODE_PATH}/@salesforce/core/package.json`, "utf8")).version);
})().catch((error) => { console.error(error); process.exit(1); });
