/**
 * The words along a chart's axes. Pure.
 */

/**
 * Times of day, with seconds where marks are that close, and the date wherever a new day begins.
 * @param {number[]} times Unix seconds
 * @param {number} step seconds between two marks
 * @returns {string[]}
 */
export function timeLabels(times, step) {
  let day = "";
  return times.map((time, index) => {
    const date = new Date(time * 1000);
    const clock = date.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: step < 60 ? "2-digit" : undefined, hour12: false });
    const today = date.toDateString();
    const turned = index > 0 && today !== day;
    day = today;
    return turned ? `${clock}\n${date.toLocaleDateString(undefined, { day: "numeric", month: "short" })}` : clock;
  });
}

/**
 * What a scale shows for values from `low` to `high`: some air around them, and never so little that noise looks grand.
 * @param {number | null} low
 * @param {number | null} high
 * @returns {[number, number]}
 */
export function rangeAround(low, high) {
  if (low === null || high === null || !Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  const least = Math.max(Math.abs(low), Math.abs(high)) * 0.01 || 1;
  const air = Math.max((high - low) * 0.08, (least - (high - low)) / 2);
  return [low - air, high + air];
}
