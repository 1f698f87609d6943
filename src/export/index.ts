export { type Cursor, readCursorFile, START, writeCursorFile } from './cursor.ts';
export { type ExportDeps, exportRecords, openRecords, requireSameLog } from './export-log.ts';
export {
  createFormat,
  type ExportedRecord,
  type Format,
  type FormatMemory,
  type FormatName,
} from './format.ts';
export { OCSF_VERSION, type OcsfEvent, type OcsfSource, toOcsf } from './ocsf.ts';
export { type OpenSpans, takeSpan, tracesRequest } from './otlp.ts';
export {
  createHttpReceiver,
  type HttpReceiverOptions,
  openFileReceiver,
  type Receiver,
} from './receivers.ts';
