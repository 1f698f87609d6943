/** Letters of other scripts that look like Latin ones, by what they look like. */
const LOOK_ALIKES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    A: 'АΑᎪꓮ',
    B: 'ВΒᏴꓐ',
    C: 'СϹᏟꓚ',
    D: 'ᎠꓓⅮ',
    E: 'ЕΕᎬꓰ',
    F: 'Ϝꓝ',
    G: 'ԌᏀꓖ',
    H: 'НΗᎻꓧ',
    I: 'ІΙӀᏆꓲǀ|׀',
    J: 'ЈᎫꓙ',
    K: 'КΚᏦꓗ',
    L: 'ᏞꓡⅬ',
    M: 'МΜᎷꓟ',
    N: 'ΝꓠⲚ',
    O: 'ОΟՕꓳ',
    P: 'РΡᏢꓑ',
    Q: 'Ԛ',
    R: 'ᎡᏒꓣ',
    S: 'ЅՏᏚꓢ',
    T: 'ТΤᎢꓔ',
    U: 'Սꓴ',
    V: 'ѴᏙꓦ',
    W: 'ԜᎳꓪ',
    X: 'ХΧꓫ',
    Y: 'УΥҮꓬ',
    Z: 'ΖᏃꓜ',
    a: 'аɑα',
    b: 'Ьƅ',
    c: 'сϲᴄ',
    d: 'ԁɗ',
    e: 'еҽє',
    f: 'ƒ',
    g: 'ɡցԍ',
    h: 'һհ',
    i: 'іıιɩ',
    j: 'јϳȷ',
    k: 'кκ',
    l: 'ӏ',
    m: 'м',
    n: 'ոռη',
    o: 'оοօσᴏ',
    p: 'рρ',
    q: 'ԛզ',
    r: 'гᴦ',
    s: 'ѕꜱ',
    t: 'тτ',
    u: 'սυᴜʋ',
    v: 'νѵᴠ',
    w: 'ԝωᴡ',
    x: 'хχ',
    y: 'уγүʏ',
    z: 'ᴢ',
    '-': '‐‑‒–—―−⁃',
    '/': '⁄∕',
    '.': '․٠۰',
    _: 'ˍ',
  }).flatMap(([latin, others]) => [...others].map((other) => [other, latin] as const)),
);

const INVISIBLE = /[\p{C}\p{Default_Ignorable_Code_Point}\p{Z}\p{M}]/gu;

/**
 * What a name looks like to a hurried reader: two names of which either form is equal are look-alikes. Compatibility
 * forms (NFKC), case, invisible characters, accents and letters of other scripts make no difference; in the second
 * form neither do I, l and 1, or O and 0.
 */
export function looksOf(name: string): readonly [plain: string, drawn: string] {
  const latin = [...name.normalize('NFKC')].map((char) => LOOK_ALIKES.get(char) ?? char).join('');
  const visible = latin.normalize('NFD').replace(INVISIBLE, '');
  const drawn = visible.replace(/[I1]/g, 'l').replace(/0/g, 'O');
  return [visible.toLowerCase(), drawn.toLowerCase()];
}

/** Do two names differ in nothing but the case of their letters? */
export function isSameWord(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
