/** What VitePress reads first; everything stands in `site`. */
export {default} from '../config.ts';
