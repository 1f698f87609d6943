export { type DisclosedPart, type Evidence, type ProvenRecord, toFiles } from './evidence.ts';
export { renderSummary } from './summary.ts';
export { readTar, type TarFile, writeTar } from './tar.ts';
export { type BundleReport, verifyBundle } from './verify-bundle.ts';
