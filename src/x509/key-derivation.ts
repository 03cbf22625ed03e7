/**
 * Makes the key of a cipher from a passphrase, in each way that files ask for. None holds up the process: the long ones
 * run on another thread, or in slices. All of it is counted.
 */
import {hash, pbkdf2, scrypt} from 'node:crypto';
import {setImmediate} from 'node:timers/promises';
import {promisify} from 'node:util';
import type {WorkBudget} from './work-budget.ts';

/** Bytes of a hash, and those that it takes at a time. */
const sizes: Readonly<Record<string, {readonly length: number; readonly block: number}>> = {
	md5: {length: 16, block: 64},
	sha1: {length: 20, block: 64},
	sha224: {length: 28, block: 64},
	sha256: {length: 32, block: 64},
	sha384: {length: 48, block: 128},
	sha512: {length: 64, block: 128},
	'sha512-224': {length: 28, block: 128},
	'sha512-256': {length: 32, block: 128},
};

/** RFC 8018 section 5.2, with HMAC. */
export async function deriveByPbkdf2(
	secret: Buffer,
	{salt, rounds, length, name}: {salt: Buffer; rounds: number; length: number; name: string},
	budget: WorkBudget,
): Promise<Buffer> {
	budget.spend(rounds * Math.ceil(length / (sizes[name]?.length ?? 1)));
	return promisify(pbkdf2)(secret, salt, rounds, length, name);
}

/** The most memory for scrypt, in bytes. OpenSSL's own files need 16 MiB. */
const mostMemory = 256 * 1024 * 1024;

/** RFC 7914: the product of its three numbers takes about as long as so many rounds. */
export async function deriveByScrypt(
	secret: Buffer,
	{
		salt,
		cost,
		blockSize,
		parallelization,
		length,
	}: Record<'cost' | 'blockSize' | 'parallelization' | 'length', number> & {
		salt: Buffer;
	},
	budget: WorkBudget,
): Promise<Buffer> {
	budget.spend(cost * blockSize * parallelization);
	const options = {N: cost, r: blockSize, p: parallelization, maxmem: mostMemory};
	return new Promise((resolve, reject) => {
		scrypt(secret, salt, length, options, (error, key) => (error === null ? resolve(key) : reject(error)));
	});
}

/** RFC 8018 section 5.1. */
export async function deriveByPbkdf1(
	secret: Buffer,
	{salt, rounds, name}: {salt: Buffer; rounds: number; name: string},
	budget: WorkBudget,
): Promise<Buffer> {
	budget.spend(rounds);
	return hashAgain(name, Buffer.concat([secret, salt]), rounds);
}

/** RFC 7292 appendix B.3: what the bytes are for. */
export const purpose = {key: 1, iv: 2, mac: 3} as const;

/** RFC 7292 appendix B.2. `secret` as {@link bmpPassphrase} gives it. OpenSSL has it, but Node does not show it. */
export async function deriveByPkcs12(
	secret: Buffer,
	{salt, rounds, length, name, id}: {salt: Buffer; rounds: number; length: number; name: string; id: number},
	budget: WorkBudget,
): Promise<Buffer> {
	const {block, length: step} = sizes[name] as {length: number; block: number};
	const steps = Math.ceil(length / step);
	budget.spend(rounds * steps);
	const padded = [salt, secret].map(part => Buffer.alloc(Math.ceil(part.length / block) * block, part));
	let input: Buffer = Buffer.concat(padded);
	const parts: Buffer[] = [];
	for (let count = 0; count < steps; count++) {
		const part = await hashAgain(name, Buffer.concat([Buffer.alloc(block, id), input]), rounds);
		parts.push(part);
		if (count + 1 < steps) input = addToBlocks(input, Buffer.alloc(block, part));
	}
	return Buffer.concat(parts).subarray(0, length);
}

/** Each block of `input` plus `addend` plus one, as numbers. */
function addToBlocks(input: Buffer, addend: Buffer): Buffer {
	const sum = Buffer.from(input);
	for (let start = 0; start < sum.length; start += addend.length) {
		let carry = 1;
		for (let at = addend.length - 1; at >= 0; at--) {
			carry += (sum[start + at] as number) + (addend[at] as number);
			sum[start + at] = carry & 0xff;
			carry >>= 8;
		}
	}
	return sum;
}

/** A BMPString with its end (RFC 7292 appendix B.1). No passphrase at all is not the same as an empty one. */
export function bmpPassphrase(passphrase: string | null): Buffer {
	return passphrase === null ? Buffer.alloc(0) : Buffer.from(`${passphrase}\0`, 'utf16le').swap16();
}

/** What OpenSSL calls `EVP_BytesToKey`, with MD5 and one round: for keys whose headers name the cipher. */
export function deriveForHeaders(secret: Buffer, salt: Buffer, length: number): Buffer {
	let key = Buffer.alloc(0);
	for (let last = key; key.length < length; key = Buffer.concat([key, last])) {
		last = hash('md5', Buffer.concat([last, secret, salt]), 'buffer');
	}
	return key.subarray(0, length);
}

/** So many rounds take about ten milliseconds. */
const roundsAtATime = 10_000;

async function hashAgain(name: string, input: Buffer, rounds: number): Promise<Buffer> {
	let result = input;
	for (let round = 1; round <= rounds; round++) {
		result = hash(name, result, 'buffer');
		if (round % roundsAtATime === 0) await setImmediate();
	}
	return result;
}
