/** Holds a strategy against the conformance kit. */
// #region conformance
import {conformance} from 'gatepass/testing';
import {ApiKeyStrategy} from './api-key.ts';

const checks = await conformance(ApiKeyStrategy, {options: {key: 'a-key-for-tests'}});
console.log(`${checks.length} checks passed`);
// #endregion
