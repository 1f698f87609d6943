import type { Role } from '../config-identity.ts';

/** What can be done on the admin plane. Each route asks for one. */
export type Permission =
  | 'status.read'
  | 'runs.read'
  | 'runs.revoke'
  | 'stops.read'
  | 'stops.write'
  | 'keys.read'
  | 'keys.write'
  | 'tools.read'
  | 'tools.review'
  | 'agents.read'
  | 'agents.write'
  | 'content.erase'
  | 'log.read'
  | 'policies.write'
  | 'approvals.read'
  | 'approvals.decide';

/** The permission table: docs/admin.md has the same. */
export const PERMISSIONS: Readonly<Record<Role, readonly Permission[]>> = {
  operator: [
    'status.read',
    'runs.read',
    'runs.revoke',
    'stops.read',
    'stops.write',
    'keys.read',
    'keys.write',
    'content.erase',
    'tools.read',
    'agents.read',
    'agents.write',
    'approvals.read',
  ],
  'policy-author': [
    'status.read',
    'runs.read',
    'tools.read',
    'tools.review',
    'agents.read',
    'policies.write',
  ],
  approver: ['status.read', 'runs.read', 'approvals.read', 'approvals.decide'],
  investigator: [
    'status.read',
    'runs.read',
    'stops.read',
    'keys.read',
    'tools.read',
    'agents.read',
    'approvals.read',
    'log.read',
  ],
};

/** Who is behind an admin request, and what they may be. */
export type Operator = { readonly name: string; readonly roles: readonly Role[] };

export function mayDo({ roles }: Operator, permission: Permission): boolean {
  return roles.some((role) => PERMISSIONS[role].includes(permission));
}
