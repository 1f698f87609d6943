/**
 * Characters that are drawn like a Latin letter, digit or sign, by what they are drawn like. What NFKC and the removal
 * of marks make alike (full-width, mathematical, circled, accented) is not repeated here. Capitals and small letters
 * stand together: case makes no difference to a name.
 */
const DRAWN_LIKE: Readonly<Record<string, string>> = {
  a: 'АаΑαᎪꓮɑᗅⲀⲁ⍺ᴀⱯ',
  b: 'ВвΒβᏴꓐЬьƄƅƀᏏʙᖯБ',
  c: 'СсϹϲᏟꓚⅭⅽᴄⲤⲥ',
  d: 'ԀԁᎠꓓⅮⅾɗđĐðᏧᗞᴅᑯ',
  e: 'ЕеΕεЄєᎬꓰҼҽɇⲈⲉᴇ℮ɛƐ',
  f: 'ϜϝꓝƒḟꞘꞙẝſᎰ',
  g: 'ԌԍᏀꓖɡցԳǥɢǤᶃ',
  h: 'НнΗᎻꓧһҺհᏂħĦⲎⲏʜԋђћ',
  I: 'ІΙᎥӀꓲᏆǀ׀∣ⵏߊⅠᛁ|ⲒƗ',
  i: 'іιıɩɪⅰⲓɨ',
  j: 'ЈјᎫꓙϳȷʝᴊɈɉ',
  k: 'КкΚκᏦꓗⲔⲕĸᴋҚқ',
  l: 'ӏᏞꓡⅬⅼłŁʟⱠⳐᒪƚɭ',
  m: 'МмΜᎷꓟⅯⅿⲘⲙᴍ',
  n: 'ΝηոռꓠⲚⲛɴԉпᑎƞŋɲ',
  o: 'ОоΟοՕօσᏫꓳ௦ⲞⲟᴏøØ०০੦૦୦౦೦൦๐໐၀ο٥ہھഠသ〇Ө',
  p: 'РрΡρᏢꓑⲢⲣᴘƥϸ',
  q: 'ԚԛզգϙႭᑫʠ',
  r: 'ᎡᏒꓣгᴦГʀɍ',
  s: 'ЅѕՏᏚꓢꜱʂƽ',
  t: 'ТтΤτᎢꓔⲦⲧᴛŧŦƭ',
  u: 'Սսꓴυᴜʋʉμᑌ',
  v: 'νѵᏙꓦᴠⅤⅴ∨⋁ᐯ٧',
  w: 'ԜԝᎳꓪωΩШшᴡɯաԱⲰ',
  x: 'ХхΧχꓫⅩⅹ×ⲬⲭᎲ᙮╳',
  y: 'УуΥγүҮꓬʏỿყƳᎩⲨ',
  z: 'ΖᏃꓜᴢʐƶƵⲌⲍ',
  2: 'ƧᒿƨꙄ',
  3: 'ЗзӠӡƷʒȜᎮ',
  4: 'Ꮞ',
  5: 'Ƽ',
  6: 'бᏮ',
  8: 'Ȣȣ৪੪',
  9: '৭੧',
  '-': '‐‑‒–—―−⁃˗➖⸺⸻ー一ㅡᐨ',
  '/': '⁄∕╱⟋⧸ノ丿',
  '\\': '∖⟍⧵⧹',
  '.': '․‧·・꘎ꓸ',
  ',': '‚؍٫',
  ':': '：ː˸։∶꞉׃',
  _: 'ˍ‿⁔',
  "'": 'ʹʻʼʽˈ‘’‛′‵',
};

const LATIN: ReadonlyMap<string, string> = new Map(
  Object.entries(DRAWN_LIKE).flatMap(([latin, others]) =>
    [...others].map((other) => [other, latin] as const),
  ),
);

const A = 0x61;
/** White on black and flag letters, which NFKC leaves as they are. */
const BOXED = [0x1f150, 0x1f170, 0x1f1e6];

const DIGIT = /\p{Nd}/u;

/** The Latin character that a character is drawn like, or itself. Digits of any script stand for their value. */
export function latinOf(char: string): string {
  const latin = LATIN.get(char);
  if (latin !== undefined) return latin;
  const code = char.codePointAt(0) ?? 0;
  const first = BOXED.find((letter) => code >= letter && code < letter + 26);
  if (first !== undefined) return String.fromCodePoint(A + code - first);
  return code > 0x7f && DIGIT.test(char) ? digitOf(code) : char;
}

/** Unicode keeps the ten digits of a script together, from 0 to 9. */
function digitOf(code: number): string {
  let zero = code;
  while (code - zero < 9 && DIGIT.test(String.fromCodePoint(zero - 1))) zero--;
  return String(code - zero);
}
