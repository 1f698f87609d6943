/** Words of tools and their arguments that tell what they do. All are lower-case and whole. */
const set = (words: string): ReadonlySet<string> => new Set(words.split(' '));

/** Verbs that only look. */
export const READ_VERBS = set(
  'get list read search find show view describe check count lookup query browse fetch inspect preview status whoami peek compare explain summarize stat tail head grep ls cat dir info retrieve load summarise diff calculate compute convert estimate cd pwd wc sort mean sum',
);

/** Verbs that change something, wherever they stand in a name. */
export const WRITE_VERBS = set(
  'send create update delete remove add set write append edit modify patch put insert upsert move rename copy upload post reply forward publish share unshare invite pay transfer refund charge buy order purchase book reserve cancel reschedule schedule assign close reopen merge push deploy release run exec execute eval kill stop start restart grant revoke approve reject archive mark drop purge clear trash destroy save replace submit sign commit fork star follow subscribe unsubscribe enable disable reset rotate import drag click type fill press select navigate install uninstall lock unlock resolve trigger apply enqueue notify broadcast tweet comment react join leave make generate register change activate deactivate turn switch toggle adjust pause resume touch cp mv mkdir rm rmdir retweet',
);

/** Verbs of writes that stay in the owner's own account unless an argument names somebody. */
export const OWN_WRITE_VERBS = set(
  'create update delete remove add set write append edit modify patch put insert upsert move rename copy cancel reschedule close reopen archive mark clear trash save replace reset change star resolve',
);

/** Words of tools that bring data to others, whoever says otherwise. */
export const EXTERNAL_WORDS = set(
  'send email mail reply forward message post publish share invite pay payment transfer refund charge buy order purchase checkout book reserve broadcast tweet comment notify submit push deploy release upload webhook subscribe dm sms call merge http request exec execute shell bash eval command terminal script',
);

/** Words of tools that reach outside by reading: what they are asked for leaves. */
export const OUTSIDE_WORDS = set(
  'fetch browse crawl scrape http https url urls web webpage website internet online request navigate download curl',
);

/** What only the owner's own system can answer. Everything else may carry other people's text. */
export const OWN_NOUNS = set(
  'time date day clock timezone balance iban whoami me my self profile settings preferences config configuration quota status version health uptime limits',
);

/** Names of arguments that say who receives or is reached, or who can get in: a new password opens an account. */
export const ADDRESS_WORDS = set(
  'to cc bcc recipient recipients receiver receivers email emails mail address addresses url urls uri link href endpoint webhook host hostname domain server ip phone account iban bic payee beneficiary participant participants attendee attendees invitee invitees user users username usernames member members channel channels chat destination dest reviewer reviewers assignee assignees owner recipientid callback redirect target origin site website handle contact contacts collaborator collaborators team teams group groups person people sender from password passwords passphrase passcode pin credential credentials',
);

/** Names of arguments that say which thing is meant. */
export const IDENTIFIER_WORDS = set(
  'id ids uuid guid key keys path paths file files filename filenames filepath folder directory dir repo repository branch ref sha commit issue ticket record row table database db bucket object slug number event document doc page project board workspace thread message sheet range collection index namespace resource version tag source name cwd root',
);

/** Names of arguments that carry content. */
export const CONTENT_WORDS = set(
  'body content contents text message msg subject title description comment comments note notes html markdown data caption summary payload attachment attachments reason details abstract code script command sql query prompt input value values memo instructions template',
);

/** A name as its words: `sendEmailTo_user` is send, email, to, user. */
export function wordsOf(name: string): readonly string[] {
  return name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replaceAll(/([A-Z]+)([A-Z][a-z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '');
}
