export { type Conditions, compileConditions } from './compile-conditions.ts';
export type { Environment } from './environment.ts';
export { firstTestOf } from './first-test.ts';
export { NotRepresented } from './outcome.ts';
export { createRequestReader, type RequestJson, type RequestReader } from './request-reader.ts';
export { createSieve } from './sieve.ts';
