import { randomInt } from 'node:crypto';

const ADJECTIVES =
  'able agile amused bald bold brave bright calm capable clean clever dapper eager fast funny gentle glad grand happy honest kind likeable lively lucky merry nimble noble polite proud quiet rare righteous secret silent skillful smart sneaky spiffy stately thoughtful upbeat valiant wise'.split(
    ' ',
  );
const NOUNS =
  'ant ape bass bat bear bee bird boar bug calf cat chimp colt conch cow crab crane cub deer doe dog dove duck eel elk fawn finch fish fly foal fowl fox frog gnat goat goose grouse gull hare hawk hen hog horse jay kit koi lamb lark loon lynx mare mink mole moose moth mouse mule newt owl panda perch pig quail ram rat ray robin roo rook seal shad shark sheep shoat shrew shrike shrimp skink skunk sloth slug smelt snail snake snipe sow sponge squid squirrel stag steed stoat stork swan tern toad trout turtle vole wasp whale wolf worm wren yak zebra'.split(
    ' ',
  );

/** A name for a run whose client gave none: `brave-owl-417`. */
export function randomName(): string {
  const pick = (words: readonly string[]) => words[randomInt(words.length)] as string;
  return `${pick(ADJECTIVES)}-${pick(NOUNS)}-${randomInt(1000)}`;
}
