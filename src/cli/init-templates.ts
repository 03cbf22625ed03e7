/** What `gatepass init` writes. A test loads it, so that it never goes stale. */

/** What is written, of which both load without mistakes once the variables of `environment` are set. */
export interface Templates {
	readonly configuration: string;
	readonly environment: string;
}

/** For CERN with its bundle; else with the hosts of nobody, and with `bundle` where one is named. */
export function templatesFor(bundle?: string): Templates {
	const rules = bundle === 'cern' ? cernRules : generalRules;
	return {
		configuration: `${head}${bundle === undefined ? '' : bundleLines(bundle)}${rules}${rest}`,
		environment: `${environmentHead}${bundle === 'cern' ? cernFolder : ''}`,
	};
}

const head = `# yaml-language-server: $schema=./node_modules/gatepass/schema.json
`;

const bundleLines = (bundle: string): string => `
# CA certificates and default options of an organisation.
bundles: [${bundle}]
`;

const rulesHead = `
# Which URL is authenticated how. The most specific rule wins, whole; the order does not matter.
# A URL without a rule is sent as it is. 'gatepass explain URL' says which rule is chosen, and why.
hostRules:
`;

const generalRules = `${rulesHead}  # A token for one application, by the client credentials of another.
  # A path covers whole segments: /runs, and all below it.
  - match: https://api.example.org/runs
    strategy: sso-client-credentials
    options:
      tokenEndpoint: https://login.example.org/token
      clientId: \${SSO_CLIENT_ID}
      clientSecret: \${SSO_CLIENT_SECRET}

  # A client certificate: usercert.pem and userkey.pem from ~/.globus.
  - match: https://files.example.org
    strategy: grid-certificate
    # options:
    #   certificate: ./robot-cert.pem
    #   key: ./robot-key.pem

`;

const cernRules = `${rulesHead}  # A client certificate: usercert.pem and userkey.pem from the folder that CERN_CERTIFICATE_PATH names,
  # else from ~/private, else from ~/.globus.
  - match: https://cmsweb.cern.ch
    strategy: grid-certificate
    # options:
    #   certificate: ./robot-cert.pem
    #   key: ./robot-key.pem

  # A single sign-on token for one application, by the client credentials of another.
  # A path covers whole segments: /agg, and all below it.
  - match: https://cmsoms.cern.ch/agg
    strategy: sso-client-credentials
    options:
      clientId: \${SSO_CLIENT_ID}
      clientSecret: \${SSO_CLIENT_SECRET}
      audience: cmsoms-prod
      # The token endpoint is that of the bundle unless one is named:
      # tokenEndpoint: https://login.example.org/token

`;

const rest = `  # A host that a wider rule would cover, but that is to get nothing.
  # - match: https://status.example.org
  #   strategy: none

  # For development without Kerberos: a stand-in that proves nothing to a real server.
  # - match: https://*.dev.example.org
  #   methods: [GET, HEAD]
  #   strategy: kerberos-stub

# CA certificates by server, besides the system's. They hold for token endpoints too.
# trust:
#   - match: https://*.lab.example.org
#     ca: ./lab-ca.pem
#     only: true                 # leave the system's out

# Where tokens are kept, so that many runs share one: sqlite:FILE, or memory: for none of that.
# cache:
#   url: sqlite:~/.cache/gatepass/tokens.sqlite

# Your own strategies: files or packages that export them.
# strategies: [./strategies/api-key.js]
`;

const environmentHead = `# Copy this file to .env and fill it in. Keep .env out of version control.
# What is set in the environment goes before what stands there.

# The client that fetches single sign-on tokens.
SSO_CLIENT_ID=
SSO_CLIENT_SECRET=
`;

const cernFolder = `
# The folder with usercert.pem and userkey.pem, where it is neither ~/private nor ~/.globus.
# CERN_CERTIFICATE_PATH=
`;
