/** What an exploration has covered, on one screen with what it came to. */
import './report.css';
import { useMemo } from 'preact/hooks';
import type uPlot from 'uplot';
import type { AccessPair, ExploreCoverage, PreemptionPlace } from '../../explore/coverage-format';
import { formatTime } from '../format-time';
import type { PageExploration } from '../page-data';
import { axis, Chart, type Palette } from './chart';

export function Coverage({ exploration }: { readonly exploration: PageExploration }) {
  const { coverage, search, verdict, incomplete, covered, uncovered } = exploration;
  const { traces, tracesAtLeast, pairs } = coverage;
  const both = pairs.filter(({ firstBefore, secondBefore }) => firstBefore > 0 && secondBefore > 0).length;
  return (
    <div class="screen report" role="region" aria-label="Coverage" tabIndex={0}>
      <section aria-labelledby="search-title">
        <h2 id="search-title">The search {verdict}</h2>
        {incomplete !== null && <p class="hint">Not exhausted: {incomplete}.</p>}
        <dl class="figures">
          <Figure name="strategy" value={`${search.strategy}, ${search.memoryModel}, seed ${search.seed}`} />
          <Figure name="executions" value={number(search.executions)} />
          <Figure name="cut off" value={number(search.blocked)} />
          <Figure name="different traces" value={`${tracesAtLeast ? 'at least ' : ''}${number(traces)}`} />
          <Figure name="steps" value={number(search.steps)} />
          <Figure name="time" value={formatTime(search.elapsedMs * 1e6)} />
          <Figure name="pairs seen in both orders" value={`${both} of ${pairs.length}`} />
        </dl>
        {covered.length > 0 && <p>Reached: {covered.join(', ')}.</p>}
        {uncovered.length > 0 && <p class="warns">Never reached: {uncovered.join(', ')}.</p>}
        <Outcomes exploration={exploration} />
      </section>
      <section aria-labelledby="growth-title">
        <h2 id="growth-title">Different traces over executions</h2>
        <p class="hint">Executions that differ in no more than the order of independent steps are one trace.</p>
        <Growth coverage={coverage} />
      </section>
      <section aria-labelledby="preemptions-title">
        <h2 id="preemptions-title">Where it preempts</h2>
        <Preemptions places={coverage.preemptions} />
      </section>
      <section aria-labelledby="pairs-title">
        <h2 id="pairs-title">Which accesses were reordered</h2>
        <p class="hint">
          Accesses of two actors to the same bytes, one of them a write, and in how many executions which came first.
          Those that were never seen the other way round are marked: something orders them, or the search did not try.
        </p>
        <Pairs pairs={pairs} />
      </section>
    </div>
  );
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Outcomes({ exploration }: { exploration: PageExploration }) {
  const { outcomes, unlisted } = exploration;
  if (outcomes.length === 0) return <p class="hint">No execution ended without a failure.</p>;
  return (
    <table class="outcomes">
      <caption>Outcomes</caption>
      <thead>
        <tr>
          <th scope="col" class="figure">
            executions
          </th>
          <th scope="col">results, by vCPU</th>
          <th scope="col">replayed by</th>
        </tr>
      </thead>
      <tbody>
        {outcomes.map(({ results, count, command }) => (
          <tr key={command}>
            <td class="figure">{number(count)}</td>
            <td class="code">{results}</td>
            <td class="code">{command}</td>
          </tr>
        ))}
        {unlisted > 0 && (
          <tr>
            <td class="figure">{number(unlisted)}</td>
            <td>others</td>
            <td />
          </tr>
        )}
      </tbody>
    </table>
  );
}

function Growth({ coverage }: { coverage: ExploreCoverage }) {
  const { growth, traces } = coverage;
  const data = useMemo(
    (): uPlot.AlignedData => [growth.map(([executions]) => executions), growth.map(([, found]) => found)],
    [coverage],
  );
  const [executions = 0] = growth.at(-1) ?? [];
  const label = `Different traces over executions: ${traces} in ${executions}`;
  return <Chart label={label} heightPx={240} data={data} options={growthOptions} />;
}

function growthOptions(palette: Palette): Omit<uPlot.Options, 'width' | 'height'> {
  return {
    scales: { x: { time: false }, y: { range: (_plot, _least, most) => [0, Math.max(1, most * 1.05)] } },
    axes: [axis(palette, { label: 'executions' }), axis(palette, { label: 'different traces', size: 80 })],
    series: [
      { label: 'executions' },
      { label: 'different traces', stroke: palette.colour('accent'), width: 2, points: { show: false } },
    ],
    cursor: { drag: { x: true, y: false } },
  };
}

function Preemptions({ places }: { places: readonly PreemptionPlace[] }) {
  if (places.length === 0) return <p class="hint">No actor was preempted.</p>;
  const most = places[0]?.count ?? 1;
  return (
    <table class="preemptions">
      <thead>
        <tr>
          <th scope="col">actor</th>
          <th scope="col">before its</th>
          <th scope="col" class="figure">
            times
          </th>
          <td aria-hidden="true" />
        </tr>
      </thead>
      <tbody>
        {places.map(({ actor, step, count }) => (
          <tr key={`${actor} ${step}`}>
            <th scope="row">{actor}</th>
            <td class="code">{step}</td>
            <td class="figure">{number(count)}</td>
            <td class="share" aria-hidden="true">
              <span class="part running" style={{ width: `${(100 * count) / most}%` }} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Pairs({ pairs }: { pairs: readonly AccessPair[] }) {
  if (pairs.length === 0) return <p class="hint">No two actors touch the same bytes.</p>;
  return (
    <table class="pairs">
      <thead>
        <tr>
          <th scope="col">word</th>
          <th scope="col">an access</th>
          <th scope="col">another one</th>
          <th scope="col" class="figure">
            first before
          </th>
          <th scope="col" class="figure">
            second before
          </th>
          <th scope="col">orders</th>
        </tr>
      </thead>
      <tbody>
        {pairs.map(({ word, first, second, firstBefore, secondBefore }) => {
          const both = firstBefore > 0 && secondBefore > 0;
          return (
            <tr key={`${word} ${first} ${second}`} class={both ? 'both' : 'one'}>
              <th scope="row" class="code">
                {word}
              </th>
              <td class="code">{first}</td>
              <td class="code">{second}</td>
              <td class="figure">{number(firstBefore)}</td>
              <td class="figure">{number(secondBefore)}</td>
              <td>{both ? 'both' : 'one'}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function number(value: number): string {
  return value.toLocaleString('en-US').replaceAll(',', '\u202f');
}
