/** A web without a network: what each URL answers, and who was asked. */
export type FakeWeb = {
  readonly fetch: typeof globalThis.fetch;
  /** `METHOD URL`, in order. */
  readonly asked: string[];
  /** Forms that were posted, by URL. */
  readonly forms: { readonly url: string; readonly form: Record<string, string> }[];
};

type Page = (request: Request) => Response | Promise<Response>;

/** Anything that is not among the pages is 404. A redirect is an error, as with `redirect: 'error'`. */
export function createFakeWeb(pages: Readonly<Record<string, Page>>): FakeWeb {
  const asked: string[] = [];
  const forms: FakeWeb['forms'] = [];
  return {
    asked,
    forms,
    fetch: async (input, init) => {
      const request = new Request(input, init);
      asked.push(`${request.method} ${request.url}`);
      if (init?.redirect !== 'error') throw new Error('redirects are followed');
      const page = pages[request.url];
      if (request.method === 'POST' && request.headers.get('content-type')?.includes('form') === true) {
        const form = Object.fromEntries(new URLSearchParams(await request.clone().text()));
        forms.push({ url: request.url, form });
      }
      const response = (await page?.(request)) ?? new Response('', { status: 404 });
      if (response.status >= 300 && response.status < 400) throw new TypeError('unexpected redirect');
      return response;
    },
  };
}

/** A 401 as resources give it. */
export function challenge(params: string): Response {
  return new Response('', { status: 401, headers: { 'www-authenticate': `DPoP ${params}` } });
}
