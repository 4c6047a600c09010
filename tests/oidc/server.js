// A certified OpenID provider as the peer of the gateway: tokens for machines, signed with any of three
// algorithms, keys that can be replaced while it runs.
//
// It prints one line of JSON with its address. POST /rotate publishes new keys beside the old ones and
// signs with the new ones from then on; POST /retire leaves only the newest.

import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";

import Provider from "oidc-provider";

const ALGORITHMS = {
  RS256: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
  EdDSA: () => generateKeyPairSync("ed25519"),
};

function newKeys() {
  return Object.entries(ALGORITHMS).map(([alg, generate]) => ({
    ...generate().privateKey.export({ format: "jwk" }),
    alg,
    use: "sig",
    kid: randomUUID(),
  }));
}

// A resource is named `urn:AUDIENCE:ALGORITHM`, or `urn:AUDIENCE:ALGORITHM:SECONDS` for a short life.
function resource(name) {
  const [, audience, alg, seconds = "600"] = name.split(":");
  const accessTokenTTL = Number(seconds);
  return { audience, scope: "api", accessTokenFormat: "jwt", accessTokenTTL, jwt: { sign: { alg } } };
}

function provider(issuer, keys) {
  const client = (id) => ({
    client_id: id,
    client_secret: "the secret of a test",
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
  });
  return new Provider(issuer, {
    clients: [client("ada"), client("root")],
    jwks: { keys },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => "urn:seaworthy:RS256",
        getResourceServerInfo: (_context, name) => resource(name),
      },
    },
    enabledJWA: { idTokenSigningAlgValues: Object.keys(ALGORITHMS) },
    extraTokenClaims: (_context, token) => ({
      groups: token.clientId === "root" ? ["Platform Admins"] : ["Staff"],
    }),
  });
}

let keys = newKeys();
let answer;
const server = createServer((request, response) => {
  if (request.method === "POST" && request.url === "/rotate") {
    keys = [...newKeys(), ...keys];
  } else if (request.method === "POST" && request.url === "/retire") {
    keys = keys.slice(0, Object.keys(ALGORITHMS).length);
  } else {
    answer(request, response);
    return;
  }
  answer = provider(issuer, keys).callback();
  response.end("{}");
});
let issuer;
server.listen(0, "127.0.0.1", () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  answer = provider(issuer, keys).callback();
  console.log(JSON.stringify({ issuer }));
});
