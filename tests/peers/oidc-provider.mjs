// An authorization server that is not ours: oidc-provider, set up as a partner's system would be.
// Reads {client, scope, audience, format} from standard input: `client` is what is registered for us besides
// what follows from `scope`; `format` is jwt or opaque. Prints its address and waits.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';

import Provider from 'oidc-provider';

const { client, scope, audience, format } = JSON.parse(await text(process.stdin));
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const signing = { ...privateKey.export({ format: 'jwk' }), alg: 'ES384', use: 'sig', kid: 'server' };

const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      scope,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      id_token_signed_response_alg: 'ES384',
      ...client,
    },
  ],
  jwks: { keys: [signing] },
  scopes: scope.split(' '),
  clientAuthMethods: ['private_key_jwt', 'client_secret_basic', 'client_secret_post'],
  enabledJWA: { clientAuthSigningAlgValues: ['ES384', 'RS384'], idTokenSigningAlgValues: ['ES384'] },
  routes: { token: '/oauth/token', introspection: '/oauth/introspect', revocation: '/oauth/revoke' },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
      getResourceServerInfo: () => ({
        scope,
        audience,
        accessTokenTTL: 300,
        accessTokenFormat: format,
        jwt: { sign: { alg: 'ES384' } },
      }),
    },
  },
});
// What the provider found wrong goes to standard error, so that a failing test says why.
provider.on('grant.error', (_context, error) => console.error(error.error, error.error_description, error.error_detail));
server.on('request', provider.callback());
console.log(issuer);
