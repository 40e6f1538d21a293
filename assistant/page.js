// Moments: a link to #t=start,end moves the annotated video (and the 3D figure) there and plays to the end.
document.addEventListener('click', (event) => {
  const chosen = event.target.closest('[data-concept]');
  if (chosen) {
    event.preventDefault();
    choose({ code: Number(chosen.dataset.concept), at: 'at' in chosen.dataset ? Number(chosen.dataset.at) : null });
  }
  const link = event.target.closest('a[href*="#t="]');
  if (!link) return;
  event.preventDefault();
  event.stopPropagation();
  const [start, end] = link.getAttribute('href').split('#t=')[1].split(',').map(Number);
  document.querySelectorAll('iframe.space-player').forEach((frame) =>
    frame.contentWindow.postMessage({ seek_s: start }, '*'));
  const video = document.querySelector('#clip video');
  if (!video) return;
  video.currentTime = start;
  if (!chosen) video.scrollIntoView({ behavior: 'smooth', block: 'nearest' });  // a concept's card is looked at instead
  if (end > start) {
    const halt = () => {
      if (video.currentTime >= end || Math.abs(video.currentTime - start) > end - start + 1) {
        video.pause();
        video.removeEventListener('timeupdate', halt);
      }
    };
    video.addEventListener('timeupdate', halt);
    video.play().catch(() => {});
  }
}, true);

// Concepts: a segment, a neighbour on a card or a point of the map chooses one; the timeline's component listens.
function choose(detail) {
  document.querySelectorAll('.concept-line .segments a').forEach((segment) =>
    segment.classList.toggle('chosen', Number(segment.dataset.concept) === detail.code));
  document.dispatchEvent(new CustomEvent('concept', { detail }));
}
window.addEventListener('message', (event) => {
  const map = document.querySelector('iframe.concept-map');
  if (map && event.source === map.contentWindow && typeof event.data?.concept === 'number')
    choose({ code: event.data.concept, at: null });
});
