// An authorization server that is not ours: oidc-provider, set up as a partner's system would be.
// Reads {client_id, jwks, scope, audience} from standard input; prints its address and waits.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';

import Provider from 'oidc-provider';

const { client_id, jwks, scope, audience } = JSON.parse(await text(process.stdin));
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const signing = { ...privateKey.export({ format: 'jwk' }), alg: 'ES384', use: 'sig', kid: 'server' };

const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id,
      jwks,
      scope,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      id_token_signed_response_alg: 'ES384',
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES384',
    },
  ],
  jwks: { keys: [signing] },
  scopes: scope.split(' '),
  clientAuthMethods: ['private_key_jwt'],
  enabledJWA: { clientAuthSigningAlgValues: ['ES384', 'RS384'], idTokenSigningAlgValues: ['ES384'] },
  routes: { token: '/oauth/token' },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
      getResourceServerInfo: () => ({
        scope,
        audience,
        accessTokenTTL: 300,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'ES384' } },
      }),
    },
  },
});
// What the provider found wrong goes to standard error, so that a failing test says why.
provider.on('grant.error', (_context, error) => console.error(error.error, error.error_description, error.error_detail));
server.on('request', provider.callback());
console.log(issuer);
