export { Commitments, type ContentOptions, type KeepContent, liveSince } from './commitments.ts';
export { type ContentReader, type FoundContent, openContentReader } from './content-reader.ts';
export { ContentVault } from './content-vault.ts';
export type { DoneErasure } from './key-file.ts';
