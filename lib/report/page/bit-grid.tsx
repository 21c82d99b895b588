/** Bits as squares with their numbers. To a screen reader it is one picture, told as the list of bits that are set. */
import './bit-grid.css';

interface BitGridProps {
  readonly name: string;
  /** What a bit is: `port`. */
  readonly unit: string;
  /** Numbers of the first bits of the rows. */
  readonly groups: readonly number[];
  readonly width: number;
  readonly isSet: (bit: number) => boolean;
  readonly wasSet: (bit: number) => boolean;
  readonly describe: (bit: number) => string;
  /** Without the range of a row before it. */
  readonly bare?: boolean;
}

export function BitGrid({ name, unit, groups, width, isSet, wasSet, describe, bare = false }: BitGridProps) {
  const bits = groups.map((first) => Array.from({ length: width }, (_, index) => first + index));
  const set = bits.flat().filter(isSet);
  const changed = bits.flat().filter((bit) => isSet(bit) !== wasSet(bit));
  const listed = set.length === 0 ? `no ${unit} set` : `set: ${unit} ${set.join(', ')}`;
  const news = changed.length === 0 ? '' : `; just changed: ${unit} ${changed.join(', ')}`;
  return (
    <div class="bit-grid" role="img" aria-label={`${name}, ${listed}${news}`}>
      {bits.map((row) => (
        <div key={row[0]} class="bits">
          {!bare && (
            <span class="range">
              {row[0]}–{row.at(-1)}
            </span>
          )}
          {row.map((bit) => (
            <span
              key={bit}
              class={`bit ${isSet(bit) ? 'set' : 'clear'} ${isSet(bit) === wasSet(bit) ? '' : 'changed'}`}
              title={`${describe(bit)}, ${isSet(bit) ? 'set' : 'clear'}`}
            >
              {bit}
            </span>
          ))}
        </div>
      ))}
    </div>
  );
}
