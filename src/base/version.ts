/** Version of this package, as it says of itself to upstreams, in the log and in exports. */
export const VERSION = '0.1.0';
