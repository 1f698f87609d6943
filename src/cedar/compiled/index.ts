export { type Conditions, compileConditions } from './compile-conditions.ts';
export type { Environment } from './environment.ts';
export { NotRepresented } from './outcome.ts';
export { createRequestReader, type RequestJson, type RequestReader } from './request-reader.ts';
