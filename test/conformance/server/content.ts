import type { ContentBlock } from '@modelcontextprotocol/server';

/** One red pixel. */
export const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
/** Silence of no length. */
export const WAV = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=';

export function text(value: string): Extract<ContentBlock, { type: 'text' }> {
  return { type: 'text', text: value };
}

export const IMAGE = { type: 'image', data: PNG, mimeType: 'image/png' } as const;

export function embedded(uri: string, mimeType: string, body: string) {
  return { type: 'resource', resource: { uri, mimeType, text: body } } as const;
}
