import { sha256 } from '../base/index.ts';

/** Gives the string enum at a path of a tool's arguments the name of its entity type. */
export type EnumNames = (upstream: string, tool: string, path: readonly string[]) => string;

/**
 * `Arg_<upstream>__<tool>__<argument>`, with `_` for what an identifier cannot hold. Of two names that become
 * the same, the later one gets a suffix made from its exact spelling. The same path keeps its name.
 */
export function createEnumNames(): EnumNames {
  const taken = new Map<string, string>();
  return (upstream, tool, path) => {
    const exact = JSON.stringify([upstream, tool, path]);
    const parts = [upstream, tool, ...path.filter((name) => name !== '*')];
    const plain = `Arg_${parts.map((part) => part.replaceAll(/[^A-Za-z0-9_]/g, '_')).join('__')}`;
    const suffix = sha256(exact).replaceAll(/[-_]/g, '').slice(0, 8);
    const name = (taken.get(plain) ?? exact) === exact ? plain : `${plain}_${suffix}`;
    taken.set(name, exact);
    return name;
  };
}
