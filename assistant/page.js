// Moments: a link to #t=start,end moves the annotated video (and the 3D figure) there and plays to the end.
document.addEventListener('click', (event) => {
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
  video.scrollIntoView({ behavior: 'smooth', block: 'nearest' });
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
