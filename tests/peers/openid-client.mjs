// A client that is not ours: openid-client asks our token endpoint for a token.
// Reads {issuer, token_endpoint, client_id, jwk, alg, scope, times} from standard input; prints one JSON
// array with a token answer or an error code for each time it asked.
import { webcrypto } from 'node:crypto';
import { text } from 'node:stream/consumers';

import * as client from 'openid-client';

const { issuer, token_endpoint, client_id, jwk, alg, scope, times } = JSON.parse(await text(process.stdin));
const algorithm = {
  ES384: { name: 'ECDSA', namedCurve: 'P-384' },
  RS384: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-384' },
}[alg];
const key = await webcrypto.subtle.importKey('jwk', jwk, algorithm, false, ['sign']);
const configuration = new client.Configuration(
  { issuer, token_endpoint },
  client_id,
  { token_endpoint_auth_method: 'private_key_jwt' },
  client.PrivateKeyJwt({ key, kid: jwk.kid }),
);
client.allowInsecureRequests(configuration);

const answers = [];
for (let time = 0; time < times; time += 1) {
  try {
    answers.push(await client.clientCredentialsGrant(configuration, { scope }));
  } catch (error) {
    answers.push({ error: error.error ?? error.message });
  }
}
console.log(JSON.stringify(answers));
