// jsforce as it is: password login, query, write, then a token that dies in the middle and is refreshed.
const assert = require("node:assert");
const jsforce = require("jsforce");

(async () => {
  const e = process.env;
  const oauth2 = new jsforce.OAuth2({
    loginUrl: e.SF_LOGIN_URL, clientId: e.SF_CLIENT_ID, clientSecret: e.SF_CLIENT_SECRET,
    redirectUri: "http://localhost:1717/OauthRedirect",
  });
  const conn = new jsforce.Connection({ oauth2, loginUrl: e.SF_LOGIN_URL });
  await conn.loginByOAuth2(e.SF_USERNAME, e.SF_PASSWORD + e.SF_SECURITY_TOKEN);
  assert.equal((await conn.identity()).username, e.SF_USERNAME);
  assert.equal((await conn.query("SELECT Id FROM Account WHERE name = 'Example Account 1'")).totalSize, 1);
  const contacts = conn.sobject("Contact");
  const { id } = await contacts.create({ LastName: "Smith" });
  await contacts.update({ Id: id, LastName: "Jones" });
  assert.equal((await contacts.retrieve(id)).LastName, "Jones");
  const upsert = (LastName) => contacts.upsert({ LastName, Ext__c: "1" }, "Ext__c");
  assert.deepEqual([(await upsert("Smith")).created, (await upsert("Jones")).created], [true, false]);
  assert.equal((await conn.sobject("Account").find({ Name: { $like: "Example%" } }, "Id, Name").limit(3)).length, 3);
  assert.ok((await conn.describe("Contact")).fields.some((field) => field.name === "LastName"));
  assert.ok((await conn.describeGlobal()).sobjects.length > 3);
  assert.ok(conn.limitInfo.apiUsage.used > 0);
  assert.ok((await contacts.destroy(id)).success);

  const refreshing = new jsforce.Connection({
    oauth2, instanceUrl: e.SF_LOGIN_URL, accessToken: "00D!dead", refreshToken: e.SF_REFRESH_TOKEN,
  });
  assert.equal((await refreshing.query("SELECT COUNT() FROM Account")).totalSize, 5);
  console.log(require("jsforce/package.json").version);
})().catch((error) => { console.error(error); process.exit(1); });
