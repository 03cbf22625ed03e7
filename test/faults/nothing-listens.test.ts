import {startServer} from '../../src/testing/server.ts';
import {fault} from './harness.ts';

fault('nothing-listens', [], () => async stage => {
	const server = await startServer(() => {});
	await server.close();
	return (await stage.open({})).diagnose(server.url);
});
