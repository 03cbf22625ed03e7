/**
 * A server of the SPIFFE Workload API, and a CA for its trust domain. No agent (SPIRE's) is to be had from the
 * registries: this one implements the published definition, encoded by protobufjs and sent by grpc-js.
 */
import 'reflect-metadata';
import {randomBytes, webcrypto} from 'node:crypto';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {
	type GrpcObject,
	loadPackageDefinition,
	Server,
	ServerCredentials,
	type ServerWritableStream,
	type ServiceClientConstructor,
	status,
} from '@grpc/grpc-js';
import {fromJSON} from '@grpc/proto-loader';
import * as x509 from '@peculiar/x509';
import {toPem} from '../../src/spiffe/response.ts';

/** The part of `workloadapi.proto` that concerns X.509-SVIDs. */
const definition = fromJSON(
	{
		nested: {
			X509SVIDRequest: {fields: {}},
			X509SVIDResponse: {
				fields: {
					svids: {rule: 'repeated', type: 'X509SVID', id: 1},
					crl: {rule: 'repeated', type: 'bytes', id: 2},
					federatedBundles: {keyType: 'string', type: 'bytes', id: 3},
				} as never,
			},
			X509SVID: {
				fields: {
					spiffeId: {type: 'string', id: 1},
					x509Svid: {type: 'bytes', id: 2},
					x509SvidKey: {type: 'bytes', id: 3},
					bundle: {type: 'bytes', id: 4},
					hint: {type: 'string', id: 5},
				},
			},
			SpiffeWorkloadAPI: {
				methods: {
					FetchX509SVID: {
						requestType: 'X509SVIDRequest',
						responseType: 'X509SVIDResponse',
						responseStream: true,
						comment: '',
					},
				},
			},
		},
	},
	{keepCase: true},
);
const service = (
	(loadPackageDefinition(definition) as GrpcObject).SpiffeWorkloadAPI as ServiceClientConstructor
).service;

/** As the messages of the definition have it, in DER. */
export interface PushedSvid {
	readonly spiffeId: string;
	readonly x509Svid: Buffer;
	readonly x509SvidKey: Buffer;
	readonly bundle: Buffer;
	readonly hint?: string;
}

export interface Push {
	readonly svids: readonly PushedSvid[];
	readonly federatedBundles?: Readonly<Record<string, Buffer>>;
}

export interface WorkloadApiServer {
	/** `unix:///…`. */
	readonly address: string;
	/** The metadata of each subscription. */
	readonly calls: {readonly header: unknown}[];
	/** To all who have subscribed, and to all who will. `undefined`: there is none for this workload. */
	push(push: Push | undefined): void;
	/** End all subscriptions. */
	cut(): void;
	close(): Promise<void>;
}

type Subscription = ServerWritableStream<object, Push>;

export async function startWorkloadApi(address?: string): Promise<WorkloadApiServer> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-spiffe-'));
	const where = address ?? `unix://${folder}/agent.sock`;
	const subscriptions = new Set<Subscription>();
	const calls: {header: unknown}[] = [];
	let latest: Push | undefined;
	const refuse = (call: Subscription): void => {
		call.emit('error', {code: status.PERMISSION_DENIED, details: 'no identity issued'});
	};
	const server = new Server();
	server.addService(service, {
		FetchX509SVID(call: Subscription) {
			const [header] = call.metadata.get('workload.spiffe.io');
			calls.push({header});
			if (header !== 'true') call.emit('error', {code: status.INVALID_ARGUMENT, details: 'no header'});
			else if (latest === undefined) refuse(call);
			else {
				subscriptions.add(call);
				call.on('cancelled', () => subscriptions.delete(call));
				call.write(latest);
			}
		},
	});
	await new Promise<void>((resolve, reject) => {
		server.bindAsync(where, ServerCredentials.createInsecure(), error => (error ? reject(error) : resolve()));
	});
	return {
		address: where,
		calls,
		push(push) {
			latest = push;
			for (const call of subscriptions) {
				if (push === undefined) refuse(call);
				else call.write(push);
			}
			if (push === undefined) subscriptions.clear();
		},
		cut() {
			for (const call of subscriptions) call.end();
			subscriptions.clear();
		},
		async close() {
			server.forceShutdown();
			await rm(folder, {recursive: true, force: true});
		},
	};
}

const algorithm = {name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256'} as const;
const hour = 3_600_000;

/** A trust domain with a CA and one between it and the SVIDs, as SPIRE has it. */
export interface TrustDomain {
	/** PEM. */
	readonly ca: string;
	/** DER. */
	readonly bundle: Buffer;
	issue(
		spiffeId: string,
		settings?: {lifetime?: number; hosts?: readonly string[]},
	): Promise<PushedSvid & {readonly certificate: string; readonly key: string}>;
}

export async function createTrustDomain(domain = 'example.org'): Promise<TrustDomain> {
	const keysOf = () => webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
	const serialNumber = () => randomBytes(8).toString('hex').replace(/^./, '1');
	const times = (lifetime: number) => ({
		notBefore: new Date(Date.now() - hour),
		notAfter: new Date(Date.now() + lifetime),
	});
	const authority = (id: string) => [
		new x509.BasicConstraintsExtension(true, undefined, true),
		new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
		new x509.SubjectAlternativeNameExtension([{type: 'url', value: id}]),
	];
	const [rootKeys, middleKeys] = await Promise.all([keysOf(), keysOf()]);
	const root = await x509.X509CertificateGenerator.createSelfSigned({
		serialNumber: serialNumber(),
		name: `CN=${domain} root,O=SPIFFE`,
		...times(24 * hour),
		keys: rootKeys,
		signingAlgorithm: algorithm,
		extensions: authority(`spiffe://${domain}`),
	});
	const middle = await x509.X509CertificateGenerator.create({
		serialNumber: serialNumber(),
		subject: `CN=${domain} intermediate,O=SPIFFE`,
		issuer: root.subject,
		...times(24 * hour),
		publicKey: middleKeys.publicKey,
		signingKey: rootKeys.privateKey,
		signingAlgorithm: algorithm,
		extensions: authority(`spiffe://${domain}`),
	});
	const bundle = Buffer.from(root.rawData);
	return {
		ca: root.toString('pem'),
		bundle,
		async issue(spiffeId, {lifetime = hour, hosts = []} = {}) {
			const keys = await keysOf();
			const leaf = await x509.X509CertificateGenerator.create({
				serialNumber: serialNumber(),
				subject: 'C=US,O=SPIRE',
				issuer: middle.subject,
				...times(lifetime),
				publicKey: keys.publicKey,
				signingKey: middleKeys.privateKey,
				signingAlgorithm: algorithm,
				extensions: [
					new x509.BasicConstraintsExtension(false, undefined, true),
					new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
					new x509.ExtendedKeyUsageExtension([
						x509.ExtendedKeyUsage.serverAuth,
						x509.ExtendedKeyUsage.clientAuth,
					]),
					new x509.SubjectAlternativeNameExtension([
						{type: 'url', value: spiffeId},
						...hosts.map(value => ({type: /^[\d.]+$/.test(value) ? 'ip' : 'dns', value}) as const),
					]),
				],
			});
			const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
			return {
				spiffeId,
				x509Svid: Buffer.concat([Buffer.from(leaf.rawData), Buffer.from(middle.rawData)]),
				x509SvidKey: key,
				bundle,
				certificate: `${leaf.toString('pem')}\n${middle.toString('pem')}\n`,
				key: toPem('PRIVATE KEY', key),
			};
		},
	};
}
