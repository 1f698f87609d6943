export { type ContentReader, type FoundContent, openContentReader } from './content-reader.ts';
export { type EmbeddedContentOptions, type KeepContent, openEmbeddedContent } from './embedded-content.ts';
export { joinContent, type LogWithContent } from './log-with-content.ts';
