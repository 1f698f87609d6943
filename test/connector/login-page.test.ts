import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LoginPage, openLoginPage } from '../../src/connector/index.ts';

const LOGIN = new URL('https://login.example.org/authorize?state=s');
let page: LoginPage;
let said: string[];

beforeEach(async () => {
  said = [];
  page = await openLoginPage((message, fields) => void said.push(`${message}: ${fields?.['url']}`));
});
afterEach(() => page[Symbol.asyncDispose]());

describe('the page a person comes back to', () => {
  it('says where to log in, and hands on what the person brought', async () => {
    const returned = page.visit(LOGIN);
    expect(said).toEqual([`open this address to log in: ${LOGIN.href}`]);
    expect((await fetch(`${page.redirectUri}?code=c&state=s`)).status).toBe(200);
    expect((await returned).searchParams.get('code')).toBe('c');
  });

  it('listens on loopback alone, for the one path, and only while somebody is awaited', async () => {
    expect(new URL(page.redirectUri).hostname).toBe('127.0.0.1');
    expect((await fetch(page.redirectUri)).status).toBe(404);
    const returned = page.visit(LOGIN);
    expect((await fetch(new URL('/other', page.redirectUri))).status).toBe(404);
    expect((await fetch(page.redirectUri, { method: 'POST' })).status).toBe(404);
    await fetch(`${page.redirectUri}?code=c&state=s`);
    await returned;
    expect((await fetch(page.redirectUri)).status).toBe(404);
  });

  it('is not ended by a page that knows the address and not the state', async () => {
    const returned = page.visit(LOGIN);
    for (const query of ['', '?code=evil', '?code=evil&state=t', '?error=access_denied&state='])
      expect((await fetch(`${page.redirectUri}${query}`)).status).toBe(404);
    await fetch(`${page.redirectUri}?code=c&state=s`);
    expect((await returned).searchParams.get('code')).toBe('c');
  });

  it('gives up on who is awaited when it is closed, or when another login begins', async () => {
    const first = page.visit(LOGIN);
    const second = page.visit(LOGIN);
    await expect(first).rejects.toThrow('another login');
    const end = expect(second).rejects.toThrow('ended');
    await page[Symbol.asyncDispose]();
    await end;
  });
});
