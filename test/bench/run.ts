/** `npm run bench`: measures gatepass beside what it is built on, in one run, and prints a table. Passes no judgement by time. */
import {cpus} from 'node:os';
import {parseArgs} from 'node:util';
import {measureCertificates} from './certificates.ts';
import {measureCommandLine} from './cli.ts';
import {measureClients} from './clients.ts';
import {measureColdCalls} from './cold-calls.ts';
import {measureFleet} from './fleet.ts';
import {measureImports} from './import-cost.ts';
import {measureInstructions} from './instructions.ts';
import {measureKerberos} from './kerberos.ts';
import {measureManyTokens} from './many-tokens.ts';
import {measureOutage} from './outage.ts';
import {measureRenewal} from './renewal.ts';
import {formatTable, type Row} from './report.ts';
import {measureRuleChoice} from './rule-choice.ts';
import {measureRuleMemory} from './rule-memory.ts';
import {measureServe} from './serve.ts';
import {measureSigning} from './signing.ts';
import {measureThroughput} from './throughput.ts';
import {measureTokenClients} from './token-clients.ts';
import {measureTrust} from './trust.ts';
import {measureWarmCommand} from './warm-command.ts';
import {measureWarmToken} from './warm-token.ts';

const groups: Readonly<Record<string, () => Promise<Row[]>>> = {
	throughput: measureThroughput,
	clients: measureClients,
	instructions: measureInstructions,
	rules: async () => [...(await measureRuleChoice()), ...(await measureRuleMemory())],
	tokens: measureWarmToken,
	command: measureWarmCommand,
	'many-tokens': measureManyTokens,
	cold: measureColdCalls,
	fleet: measureFleet,
	'token-clients': measureTokenClients,
	outage: measureOutage,
	kerberos: measureKerberos,
	certificates: measureCertificates,
	signing: measureSigning,
	renewal: measureRenewal,
	trust: measureTrust,
	import: measureImports,
	cli: measureCommandLine,
	serve: measureServe,
};

const usage = `Usage: npm run bench -- [options]
  --only ROW   measure this group of rows: ${Object.keys(groups).join(', ')}; may be given several times
  --json       print the figures for machines
  --help`;

async function main(): Promise<void> {
	const {values} = parseArgs({
		options: {
			only: {type: 'string', multiple: true, default: Object.keys(groups)},
			json: {type: 'boolean', default: false},
			help: {type: 'boolean', default: false},
		},
	});
	if (values.help) {
		console.log(usage);
		return;
	}
	// Before minutes are spent on the others.
	const unknown = values.only.find(name => groups[name] === undefined);
	if (unknown !== undefined) throw new Error(`There is no row '${unknown}'.\n${usage}`);
	const rows: Row[] = [];
	for (const name of values.only) {
		if (!values.json) console.error(`measuring ${name} …`);
		rows.push(...((await groups[name]?.()) ?? []));
	}
	const machine = {
		node: process.version,
		platform: `${process.platform} ${process.arch}`,
		cores: cpus().length,
	};
	if (values.json) {
		console.log(JSON.stringify({...machine, processor: cpus()[0]?.model, rows}, null, '\t'));
		return;
	}
	console.log(`Node ${machine.node}, ${machine.platform}, ${machine.cores} cores (${cpus()[0]?.model})\n`);
	console.log(formatTable(rows, process.stdout.isTTY === true));
}

try {
	await main();
} catch (error) {
	console.error(error);
	process.exitCode = 2;
}
