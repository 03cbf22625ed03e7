/** Makes one change of two files, for checkpoints.test.ts to kill on the way. */
import {join} from 'node:path';
import {Checkpoints} from '../../src/installers/checkpoints.ts';

const folder = process.argv[2] as string;
const change = await new Checkpoints(join(folder, 'kept')).begin('the change');
await change.write(join(folder, 'a'), 'new');
await change.write(join(folder, 'b'), 'new');
await change.finish();
