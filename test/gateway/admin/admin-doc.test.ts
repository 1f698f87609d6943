import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { mayDo, PERMISSIONS, type Permission } from '../../../src/gateway/admin/permissions.ts';
import { ROLES } from '../../../src/gateway/config-identity.ts';

it('docs/admin.md has the permission table as it is', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/admin.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `([a-z.]+)` \|(.*)\|$/gm)];
  expect(page).toContain(`| permission | ${ROLES.join(' | ')} |`);
  const permissions = new Set<string>(Object.values(PERMISSIONS).flat());
  expect(rows.map(([, name]) => name).sort()).toEqual([...permissions].sort());
  for (const [, name = '', cells = ''] of rows) {
    const said = cells.split('|').map((cell) => cell.trim() === 'yes');
    const real = ROLES.map((role) => mayDo({ name: 'x', roles: [role] }, name as Permission));
    expect(said, name).toEqual(real);
  }
});
