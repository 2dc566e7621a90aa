// node --test report.test.mjs, while `kinetic-auth emulator` runs; its settings are in the environment.
import assert from "node:assert/strict";
import { test } from "node:test";

const { SF_LOGIN_URL: org, SF_CLIENT_ID: client_id, SF_CLIENT_SECRET: client_secret } = process.env;

async function control(method, path, body = {}) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`${org}/__emulator__/${path}`, { method, headers, body: JSON.stringify(body) });
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.json();
}

// Your code: it logs in, queries, and logs in again when its token has died.
async function login() {
  const body = new URLSearchParams({ grant_type: "client_credentials", client_id, client_secret });
  const answer = await fetch(`${org}/services/oauth2/token`, { method: "POST", body });
  return (await answer.json()).access_token;
}

async function query(soql, session) {
  for (;;) {
    const address = `${org}/services/data/v62.0/query?q=${encodeURIComponent(soql)}`;
    const answer = await fetch(address, { headers: { Authorization: `Bearer ${session.token}` } });
    if (answer.status !== 401) return answer.json();
    session.token = await login();
  }
}

test("the report survives a token that dies", async () => {
  await control("POST", "records/Invoice__c", [{ Name: "one", Amount__c: 5 }, { Name: "two", Amount__c: 50 }]);
  const session = { token: await login() };
  await control("POST", "expire");
  const found = await query("SELECT Name FROM Invoice__c WHERE Amount__c > 10", session);
  assert.deepEqual(found.records.map((record) => record.Name), ["two"]);
});

test("a locked user is reported", async () => {
  const [user] = await (await fetch(`${org}/__emulator__/users`)).json();
  await control("POST", "users", { username: user.username, active: false });
  assert.equal(await login(), undefined);
  await control("POST", "users", { username: user.username, active: true });
  assert.ok(await login());
});
