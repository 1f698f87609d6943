/** Refuses to run the tests on a Node.js the gateway itself would refuse, instead of skipping what needs it. */
export default function setup(): void {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 24) {
    throw new Error(`tests need Node.js >= 24, this is ${process.versions.node}; run them with "npm test"`);
  }
}
