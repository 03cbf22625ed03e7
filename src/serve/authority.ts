/**
 * The CA with which tunnels are opened. Its root signs one certificate and its key is thrown away; what is left issues
 * for the hosts of the rules and no others: so a stolen key is worth nothing elsewhere, even to a client that heeds no
 * constraints in a root.
 */
import {createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate} from 'node:crypto';
import {createSecureContext, type SecureContext} from 'node:tls';
import type {Pattern} from '../host-rules/pattern.ts';
import {type Constraints, makeCertificate, toPem} from './certificates.ts';
import {addressIn} from './generation.ts';

const day = 86_400_000;
/** Milliseconds that a CA lives; one that is kept is replaced when a tenth of it is left. */
const lifetime = 365 * day;
const lifetimeOfServers = 7 * day;

/** All that is kept of a CA, in PEM. The key is a secret. */
export interface AuthorityMaterial {
	readonly root: string;
	readonly issuer: string;
	readonly key: string;
}

/** The hosts of the rules; `undefined`: a rule is for every host. */
export function constraintsOf(patterns: readonly Pattern[]): Constraints | undefined {
	const hosts = new Set<string>();
	for (const {scheme, kind, host} of patterns) {
		if (scheme !== 'https') continue;
		if (kind === 'any') return undefined;
		hosts.add(host);
	}
	const sorted = [...hosts].sort();
	return {
		names: sorted.filter(host => addressIn(host) === undefined),
		addresses: sorted.map(addressIn).filter(address => address !== undefined),
	};
}

/** Make a CA for these hosts. */
export function makeAuthority(constraints: Constraints | undefined, now = Date.now()): AuthorityMaterial {
	const root = generateKeyPairSync('ec', {namedCurve: 'P-256'});
	const issuer = generateKeyPairSync('ec', {namedCurve: 'P-256'});
	const validity = {notBefore: new Date(now - day), notAfter: new Date(now + lifetime)};
	// Another one of the same name would confuse clients that know both.
	const name = `gatepass proxy ${new Date(now).toISOString().slice(0, 19)}Z ${process.pid}`;
	const rootName = `${name} root`;
	const signedBy = {subject: rootName, key: root.privateKey};
	const rootCertificate = makeCertificate({
		subject: rootName,
		publicKey: root.publicKey,
		issuer: signedBy,
		...validity,
		ca: {pathLength: 1, constraints},
	});
	const issuerCertificate = makeCertificate({
		subject: name,
		publicKey: issuer.publicKey,
		issuer: signedBy,
		...validity,
		ca: {pathLength: 0, constraints},
	});
	return {
		root: toPem(rootCertificate),
		issuer: toPem(issuerCertificate),
		key: issuer.privateKey.export({type: 'pkcs8', format: 'pem'}) as string,
	};
}

interface Issued {
	readonly context: SecureContext;
	readonly renewAt: number;
}

/** Issues for servers. */
export class Authority {
	/** In PEM: what clients have to trust. */
	readonly root: string;
	readonly #issuer: {readonly subject: string; readonly key: KeyObject};
	readonly #issuerPem: string;
	/** All servers have one key: it lives in this process only. */
	readonly #servers = generateKeyPairSync('ec', {namedCurve: 'P-256'});
	readonly #issued = new Map<string, Issued>();

	constructor({root, issuer, key}: AuthorityMaterial) {
		this.root = root;
		this.#issuerPem = issuer;
		const subject = /^CN=(.*)$/m.exec(new X509Certificate(issuer).subject)?.[1] ?? '';
		this.#issuer = {subject, key: createPrivateKey(key)};
	}

	/** Certificate and key in PEM, for clients that name no host in their handshake. */
	optionsFor(host: string, now = Date.now()): {cert: string; key: string} {
		const certificate = makeCertificate({
			// A common name would be held against the constraints as a host's (OpenSSL, GnuTLS).
			subject: undefined,
			publicKey: this.#servers.publicKey,
			issuer: this.#issuer,
			notBefore: new Date(now - day),
			notAfter: new Date(now + lifetimeOfServers),
			host,
		});
		return {
			cert: `${toPem(certificate)}${this.#issuerPem}`,
			key: this.#servers.privateKey.export({type: 'pkcs8', format: 'pem'}) as string,
		};
	}

	/** For a server that is known by this name or address. */
	contextFor(host: string, now = Date.now()): SecureContext {
		const known = this.#issued.get(host);
		if (known !== undefined && now < known.renewAt) return known.context;
		const context = createSecureContext(this.optionsFor(host, now));
		// Clients choose the hosts.
		if (this.#issued.size >= 1000) this.#issued.clear();
		this.#issued.set(host, {context, renewAt: now + lifetimeOfServers / 2});
		return context;
	}
}
