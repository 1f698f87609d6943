import { BlockList, isIP } from 'node:net';

/**
 * Where a fetch may lead. `public`: addresses of the open Internet only. `loopback`: this machine too.
 * `private`: also the networks of an organisation. Link-local addresses, where clouds keep their metadata, are
 * in none of them.
 */
export type Reach = 'public' | 'loopback' | 'private';

const V4_SPECIAL = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const;
/** Within 2000::/3, the only part of IPv6 that is public: Teredo and its kin, documentation, 6to4. */
const V6_SPECIAL = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const;
const V4_PRIVATE = [
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const;

const special = blockList(V4_SPECIAL, V6_SPECIAL);
const global6 = blockList([], [['2000::', 3]]);
const loopback = blockList([['127.0.0.0', 8]], [['::1', 128]]);
const organisation = blockList(V4_PRIVATE, [['fc00::', 7]]);
/** The metadata service of a cloud has an address among the private ones of IPv6, too. */
const metadata6 = blockList([], [['fd00:ec2::', 32]]);

/** May a connection go to this IP address? Anything that is not an IP address may not be connected to. */
export function isReachable(address: string, reach: Reach): boolean {
  const family = familyOf(address);
  if (family === undefined) return false;
  if (loopback.check(address, family)) return reach !== 'public';
  if (organisation.check(address, family)) {
    return reach === 'private' && !metadata6.check(address, family);
  }
  if (family === 'ipv6' && !global6.check(address, family)) return false;
  return !special.check(address, family);
}

/** Does a host in a URL name this machine? */
export function isLoopbackHost(hostname: string): boolean {
  const address = hostname.replace(/^\[|\]$/g, '');
  const family = familyOf(address);
  return hostname === 'localhost' || (family !== undefined && loopback.check(address, family));
}

function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  const version = isIP(address);
  // An address with a zone is link-local, and one that is mapped stands for an IPv4 address by another name.
  if (version === 0 || address.includes('%') || /^::ffff:/i.test(address)) return undefined;
  return version === 4 ? 'ipv4' : 'ipv6';
}

function blockList(
  v4: readonly (readonly [string, number])[],
  v6: readonly (readonly [string, number])[],
): BlockList {
  const list = new BlockList();
  for (const [address, prefix] of v4) list.addSubnet(address, prefix, 'ipv4');
  for (const [address, prefix] of v6) list.addSubnet(address, prefix, 'ipv6');
  return list;
}
