import { type McpServer, ResourceTemplate } from '@modelcontextprotocol/server';
import { PNG } from './content.ts';

/** Resources of text and of bytes, a template, and subscriptions. */
export function addResources(server: McpServer): void {
  const about = (description: string, mimeType: string) => ({ description, mimeType });
  server.registerResource(
    'static-text',
    'test://static-text',
    about('A text that never changes', 'text/plain'),
    ({ href: uri }) => ({
      contents: [{ uri, mimeType: 'text/plain', text: 'This is the content of the static text resource.' }],
    }),
  );
  server.registerResource(
    'static-binary',
    'test://static-binary',
    about('An image that never changes', 'image/png'),
    ({ href: uri }) => ({ contents: [{ uri, mimeType: 'image/png', blob: PNG }] }),
  );
  server.registerResource(
    'watched-resource',
    'test://watched-resource',
    about('A text to subscribe to', 'text/plain'),
    ({ href: uri }) => ({ contents: [{ uri, mimeType: 'text/plain', text: 'watched' }] }),
  );
  server.registerResource(
    'template',
    new ResourceTemplate('test://template/{id}/data', { list: undefined }),
    about('Data of an id', 'application/json'),
    ({ href: uri }, { id }) => {
      const data = { id, templateTest: true, data: `Data for ID: ${String(id)}` };
      return { contents: [{ uri, mimeType: 'application/json', text: JSON.stringify(data) }] };
    },
  );
  const subscriptions = new Set<string>();
  server.server.setRequestHandler('resources/subscribe', ({ params }) => {
    subscriptions.add(params.uri);
    return {};
  });
  server.server.setRequestHandler('resources/unsubscribe', ({ params }) => {
    subscriptions.delete(params.uri);
    return {};
  });
}
