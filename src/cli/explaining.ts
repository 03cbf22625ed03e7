/** What `explain` needs, loaded when it is asked. */
import 'reflect-metadata';

export {createForExplaining} from '../gatepass.ts';
