// A client that is not ours: openid-client asks our OAuth endpoints.
// Reads {server, client_id, method, jwk, alg, secret, asks} from standard input. `server` is its metadata;
// `method` is how the client authenticates, with the key `jwk` or with `secret`; `asks` is a list of
// [what, argument]: ["token", scope], ["introspect", token], ["revoke", token]. Prints one JSON array with an
// answer or an error code for each; a token that was got can be meant as {"got": its place in the array}.
import { webcrypto } from 'node:crypto';
import { text } from 'node:stream/consumers';

import * as client from 'openid-client';

const { server, client_id, method, jwk, alg, secret, asks } = JSON.parse(await text(process.stdin));

async function proof() {
  if (method === 'client_secret_basic') return client.ClientSecretBasic(secret);
  if (method === 'client_secret_post') return client.ClientSecretPost(secret);
  const algorithm = {
    ES384: { name: 'ECDSA', namedCurve: 'P-384' },
    RS384: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-384' },
  }[alg];
  const key = await webcrypto.subtle.importKey('jwk', jwk, algorithm, false, ['sign']);
  return client.PrivateKeyJwt({ key, kid: jwk.kid });
}

const metadata = { token_endpoint_auth_method: method };
const configuration = new client.Configuration(server, client_id, metadata, await proof());
client.allowInsecureRequests(configuration);

const ways = {
  token: (scope) => client.clientCredentialsGrant(configuration, { scope }),
  introspect: (token) => client.tokenIntrospection(configuration, token),
  revoke: async (token) => (await client.tokenRevocation(configuration, token)) ?? null,
};
const answers = [];
for (const [what, argument] of asks) {
  try {
    answers.push(await ways[what](argument.got === undefined ? argument : answers[argument.got].access_token));
  } catch (error) {
    const challenge = Array.isArray(error.cause) ? `${error.status}, try ${error.cause[0].scheme}` : undefined;
    const status = error.cause instanceof Response && error.cause.status >= 500 ? `${error.cause.status}` : undefined;
    answers.push({ error: error.error ?? challenge ?? status ?? error.message });
  }
}
console.log(JSON.stringify(answers));
