// SPDX-License-Identifier: Apache-2.0
// Runs before anything is painted: the one Trusted Types policy beside Vue's, then theme and language.
(function () {
  'use strict';
  if (window.trustedTypes && window.trustedTypes.createPolicy) {
    window.trustedTypes.createPolicy('default', {
      createHTML: function (text) {
        if (text === '') return '';
        throw new TypeError('markup from text is not allowed');
      },
      createScriptURL: function (url) {
        var to = new URL(url, window.location.href);
        if (to.origin === window.location.origin && to.pathname.indexOf('/assets/') === 0) return to.href;
        throw new TypeError('scripts come from /assets only');
      },
    });
  }
  var root = document.documentElement;
  function stored(key) {
    try {
      return window.localStorage.getItem(key);
    } catch (e) {
      return null;
    }
  }
  var theme = stored('suanhe.theme');
  var dark = theme ? theme === 'dark' : window.matchMedia && window.matchMedia('(prefers-color-scheme: dark)').matches;
  root.classList.toggle('dark', dark);
  var locale = stored('suanhe.locale') || ((navigator.language || 'zh').toLowerCase().indexOf('zh') === 0 ? 'zh' : 'en');
  root.lang = locale === 'en' ? 'en' : 'zh-CN';
})();
