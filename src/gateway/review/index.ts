export { type Collisions, findCollisions, type ToolName } from './collisions.ts';
export { type FieldChange, fieldChanges } from './field-changes.ts';
export { type Suspicion, suspicionsInText, suspicionsOf, type ToolNames } from './suspicious-text.ts';
