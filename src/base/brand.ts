declare const brand: unique symbol;

/** A string or number that only its parser may make: `RunId` is a string, a string is not a `RunId`. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };
